"""The use cases. Each write is one transaction, which is committed before anything is sent."""
