// Package mirrortest runs two linked Kafka clusters for tests, without Kafka. Each cluster has a REST endpoint in
// this process with real HTTP on the wire. Both share one state. The package is for tests of code that changes mirror
// topics. Faults can act before or after a change is applied, and an oracle knows the real effect.
//
//	pair := mirrortest.NewPair(t, mirrortest.Options{})
//	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)}) // a lost answer
//	client, err := mirror.NewClient(pair.Local.Config())
//
// The endpoints listen on loopback. With Options.InMemory they listen on a network in memory, which works inside a
// testing/synctest bubble, where a minute of waiting takes no time. A Cluster is an http.Handler: for https, serve the
// Cluster with httptest.NewTLSServer.
//
// # Facts and their grades
//
// The real server is closed source. Each part of the behaviour here has a grade:
//
//   - Contract: the paths, parameters and bodies; the answers 200, 400, 401, 429 (HTML) and 5XX. A
//     second reversal, promote or failover of a topic answers 200 with a row of code 400 which says that
//     the topic has already stopped its mirror. validate_only changes nothing.
//   - Observed: an accepted reversal, promote or failover goes through PENDING_* to STOPPED. After a
//     reversal the topic on the other cluster is a mirror under the same link, PAUSED or ACTIVE.
//     Truncate-and-restore works on an old source whose counterpart is a stopped mirror, and goes through
//     PENDING_SETUP_FOR_RESTORE and PENDING_RESTORE to ACTIVE. For the other verbs messages_truncated is -1
//     and the list of partitions is empty. An error can be 403 with 40301, 404 with one text for a link and
//     another for a mirror topic, 405 or 415. The rate limiter has a window, a page that follows Accept, a
//     header and no Retry-After. The kinds of the list and its rows are the kinds of real servers. Rows can
//     come in another order (Options.Shuffle) and without truncation data (Options.NoTruncationData). A
//     stopped mirror stays listed. A topic that never was a mirror on a cluster is not listed there. A config
//     can have no value. An empty partition has the offset -1. A mirror of a dead source shows no lag. An
//     active consumer group holds up a promote and a truncate-and-restore.
//   - Assumed: credentials are checked before anything else, the limiter included. A topic that is not a
//     mirror gets its own row, and so does a topic with a status that a verb does not start from; the list
//     of these statuses is assumed too. Pause and resume finish at once. A second pause or resume is accepted
//     and does nothing (a Row plays another answer). A pattern must match the whole name, its rows are
//     sorted, and a pattern that matches nothing gets a 200 without rows. Names and a pattern together, or
//     neither, get a 400. A topic in PENDING_STOPPED counts as stopped for a second call. A mirror that
//     becomes ACTIVE has fetched all messages of its source. A group holds up a change until the group is
//     EMPTY or DEAD. The answer about an unknown group has the code 40403. The wording of all other messages.
//
// # Limits
//
// There are no records. A partition's lag comes from the Options and does not move. A promote does not wait for the
// lag. After a failover the lag is the number of messages that truncate-and-restore cuts off the old source. A
// pattern is evaluated only in the part of Java's syntax with the same meaning in Go; any other pattern gets a 400
// with this reason. Answers are deterministic: on a network in memory the same Options and the same calls give the
// same bodies.
//
// A Pair and its Clusters are safe for concurrent use.
package mirrortest
