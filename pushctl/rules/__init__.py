"""Pure decisions: values in, values out; no clock, no row, no path, no socket."""
