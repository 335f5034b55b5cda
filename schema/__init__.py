"""The contract with the outside: the OpenAPI document and the pages around it."""
