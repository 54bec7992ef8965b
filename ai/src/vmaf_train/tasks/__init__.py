"""The tasks that come with the framework, each found through its entry point like any other."""
