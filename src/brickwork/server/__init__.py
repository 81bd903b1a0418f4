"""The HTTP face of one workflow set: durable jobs, the OpenAI images contract, events, and a page."""
