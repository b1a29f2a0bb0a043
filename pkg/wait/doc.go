// Package wait waits for changes of mirror topics.
//
// Done waits until the topics of a report are where its verb leads, on both clusters: accepted is not done. CaughtUp waits
// until mirror topics have caught up with their sources, before a planned failover.
//
//	lagging, err := wait.CaughtUp(ctx, local, "dr-link", names, wait.LagOptions{Other: remote})
//	if err != nil {
//		return err // such as: not ready: 499 of 500 caught up; orders: lag 4600, falling by 300.0/s; try again in 15s
//	}
//	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics(names...))
//	progress, err := wait.Done(ctx, report, wait.Options{This: local, Other: remote})
//	progress.Table(os.Stdout)
//	return err // nil only if every topic is done
//
// # Which lists count
//
// Both functions read lists of mirror topics, with one request at a time for each cluster, and change nothing. Only a new
// list counts. A list is new if
//   - the list was read to its end, and its Age is absent or 0,
//   - no earlier list of the wait had the same Date,
//   - its Date is not before the answer to the call; for CaughtUp, not more than 30 s before the Date of another list,
//   - or, without a Date, the list is whole.
//
// A list is not whole if it continues elsewhere, or has a row without a name or a status, of another link, or two rows of
// a topic of the report. The absence of a topic counts only in a whole list.
//
// Rows do not go back. Done ignores a row whose state began before the state in an earlier list, and the absence of a
// topic of an earlier list, until two new lists, 30 s apart, agree. Until then the wait does not end in success.
//
// A state from before the call is no effect of the call. Done compares the time of a state with the Date of the list. If
// the state began before the call, the topic is done only when a second new list, 30 s or more after the call, agrees. If
// the age of the state is not known, the same holds for every topic that did not come to its goal during the wait.
package wait
