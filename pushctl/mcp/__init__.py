"""An assistant's door: figures and plans, and drafts of its own, by MCP."""
