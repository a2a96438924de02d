"""The rules of the wire, one file each: values in, values out. Time, randomness and ids are arguments."""
