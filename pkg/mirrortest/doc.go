// Package mirrortest is two linked Kafka clusters to test against, without Kafka: a REST endpoint
// for each in this process, real HTTP on the wire, and one state behind both. It is for tests of
// code that changes mirror topics. Faults can be injected before or after a change is applied,
// and an oracle knows what really happened.
//
//	pair := mirrortest.NewPair(t, mirrortest.Options{})
//	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)}) // a lost answer
//	client, err := mirror.NewClient(pair.Local.Config())
//
// The endpoints listen on loopback, or, with Options.InMemory, on a network in memory that works
// inside a testing/synctest bubble, where a minute of waiting takes no time.
//
// # What is known, and what is not
//
// The server that this stands in for is closed source. Each part of its behaviour here has a grade:
//
//   - Contract: the paths, parameters and bodies; the answers 200, 400, 401, 429 (HTML) and 5XX. A
//     second reversal, promote or failover of a topic answers 200 with a row of code 400 that says the
//     topic has already stopped its mirror. validate_only changes nothing.
//   - Observed: an accepted reversal, promote or failover goes through PENDING_* to STOPPED. After a
//     reversal the topic on the other cluster is a mirror under the same link, PAUSED or ACTIVE.
//     Truncate-and-restore works on an old source whose counterpart is a stopped mirror, and goes through
//     PENDING_SETUP_FOR_RESTORE and PENDING_RESTORE to ACTIVE. For the other verbs messages_truncated is -1
//     and the list of partitions is empty. An error can be 403 with 40301, 404 with one text for a link and
//     another for a mirror topic, 405 or 415. The rate limiter has a window, a page that follows Accept, a
//     header and no Retry-After. The kinds of the list and its rows are those of real servers. Rows can come
//     in another order (Options.Shuffle) and without truncation data (Options.NoTruncationData). A stopped
//     mirror stays listed, and a topic that never was a mirror on a cluster is not listed there. A config can
//     have no value. An empty partition has the offset -1. A mirror of a dead source shows no lag. An active
//     consumer group holds up a promote and a truncate-and-restore.
//   - Assumed: credentials are checked before anything else, the limiter included. A topic that is no
//     mirror, or has a status that a verb does not start from, gets a row of its own; which statuses these
//     are. Pause and resume are done at once; a second one is accepted and does nothing (a Row plays another
//     answer). A pattern must match the whole name, its rows are sorted, and a pattern that matches nothing
//     gets a 200 without rows. Names and a pattern together, or neither, get a 400. A topic in
//     PENDING_STOPPED counts as stopped for a second call. A mirror that becomes ACTIVE has fetched up to
//     where its source is. A group holds a change up until it is EMPTY or DEAD, and 40403 is the
//     answer about a group that is not there. The wording of messages beside what is said above.
//
// # Limits
//
// There are no records. A partition's lag is what Options say, and does not move, and a
// promote does not wait for it. After a failover the lag is how many messages truncate-and-restore cuts off
// the old source. A pattern is evaluated only if it is in the part of Java's syntax that means the same in Go;
// another one gets a 400 that says so. Answers are deterministic: on a network in memory the same Options and
// the same calls give the same bodies.
//
// A Pair and its Clusters are safe for concurrent use.
package mirrortest
