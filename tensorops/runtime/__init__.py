"""The machine: processor, caches, threads, work memory, folders."""
