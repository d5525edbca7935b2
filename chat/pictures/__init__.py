"""Pictures of others: decoded, and metadata removed, in a process of its own that can do nothing else."""
