"""Values in, text out: tables for people, Markdown for pages, documents for programs."""
