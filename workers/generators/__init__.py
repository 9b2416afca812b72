"""Ways to ask a policy: a local transformers model in a child process, or a server that speaks the OpenAI API."""
