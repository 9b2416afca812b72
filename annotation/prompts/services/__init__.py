"""Writing prompts: requests to import a file, the import itself, and the rows it stores."""
