"""What people see. A view reads its arguments, calls one function, and renders."""
