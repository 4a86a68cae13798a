"""prefmem over HTTP: a REST service, and a proxy that gives any OpenAI client a memory."""
