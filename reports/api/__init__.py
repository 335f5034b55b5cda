"""The HTTP interface of the reports."""
