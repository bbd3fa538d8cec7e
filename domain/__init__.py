"""What the pizzeria knows: events, orders, stock, kitchen, delivery. Imports neither tasks nor web."""
