"""What the pages say, as rules: what makes a group, a day's sentence, its ribbon, a month. Values in, values out."""
