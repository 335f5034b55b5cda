"""The throttle: so many numbers a minute for one address or key, and so many wrong keys for one address."""
