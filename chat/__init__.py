"""The engine: storage, network, delivery and the use cases. It never imports a user interface."""
