// Package mirrortest is two linked Kafka clusters to test against, without Kafka: a REST endpoint
// for each in this process, real HTTP on the wire, and one state behind both. It is for tests of
// code that reverses mirror topics; faults can be injected before or after the change is applied,
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
// The server that this stands in for is closed source. What it does here is, by its source:
//
//   - Contract: the path, parameters and bodies; the answers 200, 400, 401, 429 (HTML) and 5XX; a
//     second call for a reversed topic answers 200 with a row of code 400 that says the topic has
//     already stopped its mirror; validate_only changes nothing.
//   - Observed: an accepted reversal goes through PENDING_* to STOPPED, and the remote topic becomes
//     a mirror that is PAUSED; messages_truncated is -1 and its rows are empty; 403 with 40301; 404, with
//     one text for a link and another for a mirror topic; 405 and 415; the rate limiter's page, which
//     follows Accept, its header and the missing Retry-After; the kinds of the list and its rows; rows
//     in another order (Options.Shuffle) and without truncation data (Options.NoTruncationData).
//   - Assumed: that credentials are checked before anything else, the limiter included; that a
//     topic that is no mirror, or is in a state that cannot be reversed, gets a row of its own; that
//     a pattern must match the whole name, its rows are sorted, and one that matches nothing gets a
//     200 without rows; that names and a pattern together, or neither, get a 400; that a topic in
//     PENDING_STOPPED counts as stopped; and the messages' wording beside what is said above.
//
// # Limits
//
// There are no records, consumers or other operations. A partition's lag is what Options say, and
// does not move. A pattern is evaluated only if it is in the part of Java's syntax that means the
// same in Go; another one gets a 400 that says so. The rate limiter is a token bucket, which is
// simpler than Jetty's window. Answers are deterministic: the same Options and the same calls give the
// same bodies.
//
// A Pair and its Clusters are safe for concurrent use.
package mirrortest
