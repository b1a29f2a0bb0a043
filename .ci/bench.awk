# Reads lines of Go benchmarks, with a line "toolchain: NAME" before those of each toolchain, and prints a table
# of minima and medians.

/^toolchain: / {
	toolchain = $2
	if (!(toolchain in known)) {
		known[toolchain]
		toolchains[++columns] = toolchain
	}
}

/^Benchmark/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	for (i = 3; i < NF; i += 2) {
		if ($(i + 1) == "ns/op" && ($i == 0 || /ns\/topic/)) {
			continue
		}
		row = name SUBSEP $(i + 1)
		if (!(row in seen)) {
			seen[row]
			rows[++count] = row
		}
		insert(row SUBSEP toolchain, $i + 0)
	}
}

# insert keeps the values of a cell in order.
function insert(cell, value,    at) {
	for (at = ++n[cell]; at > 1 && values[cell, at - 1] > value; at--) {
		values[cell, at] = values[cell, at - 1]
	}
	values[cell, at] = value
}

function median(cell,    half) {
	half = int((n[cell] + 1) / 2)
	return n[cell] % 2 ? values[cell, half] : (values[cell, half] + values[cell, half + 1]) / 2
}

function shown(value) {
	return sprintf(value < 100 ? "%.1f" : "%.0f", value)
}

END {
	printf "%-42s %-11s", "", ""
	for (c = 1; c <= columns; c++) {
		printf " %12s min %9s", toolchains[c], "median"
	}
	print ""
	for (r = 1; r <= count; r++) {
		split(rows[r], part, SUBSEP)
		unit = part[2]
		scale = unit == "ns/op" ? 1000 : 1
		printf "%-42s %-11s", part[1], unit == "ns/op" ? "µs" : unit
		for (c = 1; c <= columns; c++) {
			cell = rows[r] SUBSEP toolchains[c]
			printf " %16s %9s", shown(values[cell, 1] / scale), shown(median(cell) / scale)
		}
		print ""
	}
}
