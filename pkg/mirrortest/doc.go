// Package mirrortest is two linked Kafka clusters to test against, without Kafka: a REST endpoint
// for each in this process, real HTTP on the wire, and one state behind both. It is for tests of
// code that changes mirror topics; faults can be injected before or after the change is applied,
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
// The server that this stands in for is closed source. Its behaviour here, by what it rests on:
//
//   - Contract: the path, parameters and bodies; the answers 200, 400, 401, 429 (HTML) and 5XX; a
//     second reversal, promote or failover of a topic answers 200 with a row of code 400 that says the
//     topic has already stopped its mirror; validate_only changes nothing.
//   - Observed: an accepted reversal, promote or failover goes through PENDING_* to STOPPED; after a
//     reversal the topic on the other cluster is a mirror under the same link, PAUSED or ACTIVE;
//     truncate-and-restore works on an old source whose counterpart is a stopped mirror, and goes through
//     PENDING_SETUP_FOR_RESTORE and PENDING_RESTORE to ACTIVE; for the other verbs messages_truncated is -1
//     and the list of partitions is empty; 403 with 40301; 404, with one text for a link and another for a
//     mirror topic; 405 and 415; the rate limiter's window, its modes, its page, which follows Accept, its
//     header and the missing Retry-After; the kinds of the list and its rows; rows in another order
//     (Options.Shuffle) and without truncation data (Options.NoTruncationData); a stopped mirror stays
//     listed, and a topic that never was a mirror on a cluster is not listed there; a config without a
//     value.
//   - Assumed: that credentials are checked before anything else, the limiter included; that a
//     topic that is no mirror, or has a status that a verb does not start from, gets a row of its own;
//     which statuses that are; that pause and resume are done at once, and a second one is accepted and does
//     nothing (a Row of yours plays the other answer); that a pattern must match the whole name, its rows are
//     sorted, and one that matches nothing gets a 200 without rows; that names and a pattern together, or
//     neither, get a 400; that a topic in PENDING_STOPPED counts as stopped for a second call; that a mirror
//     which becomes ACTIVE has fetched from each partition; and the messages' wording beside what is said above.
//
// # Limits
//
// There are no records or consumers. A partition's lag is what Options say, and does not move, and a
// promote does not wait for it. After a failover it is how many messages truncate-and-restore cuts off the
// old source. A pattern is evaluated only if it is in the part of Java's syntax that means the same in Go;
// another one gets a 400 that says so. Answers are deterministic: on a network in memory the same Options and
// the same calls give the same bodies.
//
// A Pair and its Clusters are safe for concurrent use.
package mirrortest
