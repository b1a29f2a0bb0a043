// Package wait waits for changes of mirror topics.
//
// Done waits until the topics of a report are where its verb leads, on both clusters: accepted is not done. CaughtUp waits
// until mirror topics have caught up with their sources, before a planned failover.
//
//	lagging, err := wait.CaughtUp(ctx, local, "dr-link", names, wait.LagOptions{Other: remote})
//	if err != nil {
//		return err // such as: not ready: 499 of 500; orders: lag 4600, falling by 300.0/s; try again in 15s
//	}
//	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics(names...))
//	progress, err := wait.Done(ctx, report, wait.Options{This: local, Other: remote})
//	progress.Table(os.Stdout)
//	return err // nil only if every topic is done
//
// # What is believed
//
// Both read the lists of mirror topics, one request at a time for each cluster, and change nothing. A list counts if it
// is new: no list of this wait had its Date before, its Date is not before the answer to the call (for CaughtUp: not 30 s
// before another list), Age is absent or 0, and the list was read to its end. Without a Date, a whole list is new. A list
// is whole unless it goes on elsewhere, or has a row without name or status, of another link, or two of a topic that was
// asked for. A list that is not whole proves no absence.
//
// Rows do not go back. A row whose state began before one that was already seen, and the absence of a topic that was
// listed, are ignored until two new lists, 30 s apart, have them. A topic that is not at its goal in the latest list of a
// cluster keeps the wait from ending in success meanwhile.
//
// A state from before the call is not this call's. A topic that is at its goal since before its batch was sent is done when
// a second new list, 30 s or more after the call, still shows it there. The age of a state is told by the cluster's own
// clock: its Date and the time of the state. If either is missing, the age is not known, and the rule of the second list
// holds for every topic that this wait did not see come to its goal.
package wait
