"""The use cases, a file each. Every write is one transaction; what must leave goes after the commit."""
