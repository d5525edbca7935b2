"""The engine: storage, network and the use cases. It never imports a user interface."""
