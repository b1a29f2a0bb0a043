// Package mirror reverses Cluster Linking mirror topics: it makes local mirror topics writable and
// leaves their former sources as paused mirrors, with the operation reverse-and-pause-mirror of
// the Kafka REST API v3.
//
// # What reversing does
//
// The call goes to the cluster that holds the mirror topics now. A local mirror topic becomes an
// ordinary, writable topic, and the topic it mirrored becomes a mirror of it, left paused
// (observed). The two clusters must be reachable and share a bidirectional link of one name,
// without a prefix (observed). To let data flow back, resume the mirror on the other cluster, with
// that cluster's endpoint, id and credential.
//
// That a topic is accepted means that the server took the reversal on, not that it is done. The
// topic passes through PENDING_* states until it is STOPPED (observed).
//
// # Outcomes
//
// The operation is not idempotent, one HTTP 200 carries successes and failures together, and an
// error or a lost connection may hide work that was done. So every topic selected by name ends in
// exactly one [Outcome], whatever happens on the wire:
//
//   - [Accepted]: the server took it on.
//   - [Failed]: the server answered for this topic and said no.
//   - [Unknown]: it may have been carried out. Look before sending it again.
//   - [Untouched]: nothing was done. Mend the cause and send it again.
//
// # The nil error
//
// A nil error means that the answer was read to its end and every topic was accepted; for a
// pattern, that at least one topic was. Anything short of that is an [*IncompleteError], which
// carries the [Report]; the Report is returned beside it and is never nil.
//
// # Safety
//
// Sent again by itself is only what the server provably did not process: a request that never left
// for a passing cause, one that the rate filter turned away (a 429 as HTML or with the header
// DoSFilter: observed), and once one that got a 401 if the credential then writes another
// Authorization header. Never a 5xx, never after a lost answer. A dry run changes nothing, and is
// sent again after those too. Redirects are not followed, and each request has a connection of its
// own. Credentials are in no error, log or report, and go to the configured host only.
//
// # Batches and journals
//
// Names are sent in batches, one at a time unless [Config].Parallel says otherwise. A batch that was
// turned away as a whole or has an Unknown topic stops those not yet sent, unless KeepGoing is set.
// BeforeBatch and AfterBatch are the place for a write-ahead journal and for progress. Reports
// marshal to JSON and back, and [Report.Merge] puts together what several calls came to.
//
// Statements about the server are marked: (contract) is from its published specification,
// (observed) was seen of running servers, (assumed) is reasoned and not known.
//
// A [Client] is safe for concurrent use. A [Report] is plain data of the caller's.
package mirror
