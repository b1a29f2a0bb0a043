package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// report writes the changes, the worst first, and returns whether any change is breaking. A change in many operations
// is written once.
func report(w io.Writer, changes []change) (breaking bool) {
	var b strings.Builder
	counts := map[string]int{}
	for _, kind := range []string{"BREAKING", "harmless", "known"} {
		var lines []string
		paths, reasons := map[string][]string{}, map[string]string{}
		for _, c := range changes {
			verdict, reason := verdictOf(c)
			if verdict != kind {
				continue
			}
			line := fmt.Sprintf("%-8s  %s [%s]", verdict, text.Line(c.Text, 512), c.ID)
			reasons[line] = reason
			if _, said := paths[line]; !said {
				lines = append(lines, line)
			}
			if last := c.Path[strings.LastIndex(c.Path, "/")+1:]; !slices.Contains(paths[line], last) {
				paths[line] = append(paths[line], last)
			}
		}
		counts[kind] = len(lines)
		for _, line := range lines {
			where := fmt.Sprintf("%d operations", len(paths[line]))
			if len(paths[line]) == 1 {
				where = paths[line][0]
			}
			b.WriteString(line)
			if where != "" {
				b.WriteString(" in " + text.Line(where, 256))
			}
			b.WriteString(reasons[line] + "\n")
		}
	}
	fmt.Fprintf(&b, "%d breaking, %d harmless, %d known differences\n",
		counts["BREAKING"], counts["harmless"], counts["known"])
	_, _ = io.WriteString(w, b.String()) // the exit code has the verdict too
	return counts["BREAKING"] > 0
}
