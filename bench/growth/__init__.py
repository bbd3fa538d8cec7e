"""Whether the pipeline costs more as the pizzeria grows old: rates on old orders and a backlog, memory over events."""
