// Package mirror reads and changes Cluster Linking mirror topics with the Kafka REST API v3. Its main job
// is to reverse them: it makes local mirror topics writable and leaves their former sources as paused
// mirrors.
//
//	client, err := mirror.NewClient(mirror.Config{
//		Endpoint:   "https://pkc-00000.region.provider.confluent.cloud",
//		ClusterID:  "lkc-1",
//		Credential: mirror.APIKey(key, secret),
//	})
//	...
//	report, err := client.ReverseAndPause(ctx, "dr-link", mirror.Topics("orders", "payments"))
//	if err != nil { // anything short of all accepted
//		report.Table(os.Stderr) // which topics, why, and what to do
//	}
//
// The two types to know are [Client], which makes the calls, and [Report], which accounts for each
// topic.
//
// # The verbs
//
// An accepted topic is done when it has the status given here (observed):
//
//	ReverseAndPause     STOPPED here (an ordinary, writable topic), PAUSED there (a mirror of it)
//	ReverseAndStart     STOPPED here, ACTIVE there
//	Promote             STOPPED, once it has caught up with its source
//	Failover            STOPPED, whether it has caught up or not
//	Pause               PAUSED
//	Resume              ACTIVE (not necessarily caught up); after a ReverseAndPause, call it there
//	TruncateAndRestore  ACTIVE (not caught up); deletes records of the old source, and makes it a mirror
//
// "Here" means the cluster that the verb is called on, which holds the mirror topics now; TruncateAndRestore is
// called on the old source instead. "There" means the other cluster. The reversals need both, and a
// bidirectional link of the same name on both, without a prefix (observed). [Client.Validate] is the dry
// run of any verb. [Client.Mirrors], [Client.Mirror] and [Client.Link] read what a cluster says.
//
// Accepted does not mean done. A topic may pass through PENDING_* statuses first (observed).
// [Client.Follow] looks at both clusters until the topics of a report are done, and says of those that are
// not how far they have come, and why.
//
// # Outcomes
//
// The operations are not idempotent, one HTTP 200 carries successes and failures together, and an error
// or a lost connection may hide work that was done. So every topic selected by name ends in exactly
// one [Outcome]:
//
//   - [Accepted]: the server accepted the change.
//   - [Failed]: the server refused it for this topic.
//   - [Unknown]: it may have been carried out. Look at the cluster before sending it again.
//   - [Untouched]: nothing was done. Fix the cause and send it again.
//
// # Guarantees
//
//   - Nil error: an error is nil only if the answer was read to its end, nothing unexpected was in it,
//     and every topic asked for was accepted; for a pattern, at least one row, and all of them.
//   - Never nil report: there is always a report, and the error, an [*IncompleteError], carries it.
//   - One outcome: a topic asked for by name has one [Result]. A topic that the answer leaves out is
//     Unknown, and so is one about which rows contradict each other. A row that the selection does not
//     cover is unexpected.
//   - Untouched is proof: nothing of the request's body was ever taken from the library, or the
//     response is one of the list below. Where that rests on an assumption, [Attempt].Assumed says so.
//   - Retry only what was not processed: the library retries a request that was provably not sent, one
//     that the rate limiter rejected, and once one that got a 401 ([Config].RetryFor). A 429 is proof of
//     a rejection only with the header DoSFilter: unavailable. One with the limiter's page alone is
//     retried too, but not for TruncateAndRestore, and is Unknown if the call ends there. Never a 5xx, and
//     never after a lost response. A dry run or a read changes nothing, and is retried after those too,
//     three attempts in all.
//   - Sent once: the library follows no redirects and gives the transport no way to send a body again.
//     Middleware or a gateway that is seen to have sent a request twice makes a refusal Unknown. One
//     that is not seen is where this guarantee ends: switch retries off for this route.
//   - Said before sending: every bad argument is in one error, before anything is sent.
//   - No secrets: credentials go to the configured host only, and are in no error, log or report.
//   - Bounded: the context and [Config].Timeout end every wait and read of the library's own.
//     Credentials, middleware and hooks must honour their context themselves. Memory is bounded by
//     [Config].MaxAnswer; one row of an answer may have 16 MiB.
//   - Nothing settles an outcome but evidence: [Progress.Report] settles what was seen done, [Report.Settle]
//     what a person found, and a settled [Result] says so.
//   - Reports survive: they marshal to JSON and back, and [Report.Merge] puts several together, in any
//     grouping, and forgets no Unknown.
//   - The cause is named: an error says whether the credential, the middleware, the proxy or the
//     cluster failed.
//
// # What a response proves
//
// A 200 is read row by row. Otherwise, of the topics of a request:
//
//	nothing was taken of the request's body     Untouched
//	429 with the header DoSFilter: unavailable  Untouched
//	421                                         Untouched (RFC 9110)
//	301, 302, 307, 308, 401, 404, 405, 407,     Untouched (assumed)
//	411, 414, 415, 417, 422, 426, 428, 431, 511
//	400 with error codes, and none is 40002     Untouched (assumed)
//	400 that is Jetty's page Bad Message        Untouched (assumed)
//	403 that is not HTML                        Untouched (assumed)
//	413 without an error code                   Untouched (assumed)
//	anything else, or no response               Unknown
//
// A request that is seen to have been sent twice proves nothing by a refusal: Unknown.
//
// # The way of a call
//
// A call checks its arguments and cuts the names into batches ([Config].BatchSize). For each batch it
// calls BeforeBatch, sends the request, reads the answer row by row as it arrives, and calls
// AfterBatch with the batch's own report. Batches go out one at a time unless [Config].Parallel says
// otherwise; one that was refused as a whole or has an Unknown topic stops those not yet sent, unless
// KeepGoing is set. Requests go through [Config].Middleware to the library's own transport, which opens
// a connection for each.
//
// # Runbooks
//
// The examples PlannedFailover and UnplannedFailover (example_runbook_test.go) are the two jobs from end to end. The
// program in examples/failover is the planned one to copy, with a journal (package journal), a confirmation and
// exit codes. The first interrupt should let the batch under way come to its end: see its BeforeBatch.
//
// # Credentials and addresses
//
// [APIKey] is HTTP Basic; on Confluent Cloud it must be a key of that very Kafka cluster, so the two clusters of a
// link have two, and a new key takes minutes to work (observed). [BearerToken] takes a source of OAuth 2.0 access
// tokens, which is asked for each request, so let it cache. [NoCredential] goes with mutual TLS and a certificate
// in [Config].TLS. On Confluent Cloud and inside a Platform broker the API lies under /kafka; on a standalone
// REST Proxy it does not (observed): set [Config].PathPrefix to "/".
//
// # Patterns
//
// [Topics] is the safe way: only then can a report account for a topic that the answer leaves out. [Prefix] and
// [Suffix] take literals, and send an expression that means the same whether the server searches with it or
// matches the whole name. [Pattern] sends an expression as it stands; its dialect is the server's, very likely
// Java's (assumed), and not Go's, so preview it with a dry run and send what that showed by name. [All] is the only
// way to say everything: a Pattern that finds a match in each of a few unrelated names is refused, since that is
// what is left when a variable was empty.
//
// # What is not known of the server
//
// It is closed source. Not documented, and so not relied on: the dialect and anchoring of patterns, how many names
// one request may carry, the order of the answer's rows, and whether lag is a reason to refuse. Assumed: that a 401,
// 403 or 404 touches nothing.
//
// # Speed
//
// An answer is read row by row as it arrives, and its body is not kept. [Config].BatchSize and Parallel say how
// much is under way at once. Where the rate limiter is the limit and not the cluster, more at once does not help:
// after a rejection the client sends nothing for a second or more, and then half as many requests at a time. In a
// clone, make simulate prints how long large runs take, and make bench what reading them takes.
//
// Answers about 10 000 topics with 12 partitions each, read to their end and kept, as make bench measures it on two
// cores: minimum and median of five runs in ms, the number of allocations, and how much higher the peak of a process
// is, in MiB.
//
//	                      Go 1.26.8                  Go 1.27.0
//	this library       63,  69    3 616   9       59,  77    3 613  10
//	generated models  201, 233  173 078  48      120, 163  153 209  48
//	encoding/json     305, 318  173 060  57      249, 271  153 192  53
//	json v2            82,  86  153 169  14       82,  86  153 168  14
//	tokens alone       40,  42       47   0       38,  39       47   0
//
// The first keeps a report. The next three read into the generated models: with the generated parser, with
// encoding/json from a reader, and with json v2 from a reader. The last keeps nothing. A list of as many mirror
// topics takes the library 35, 36 and 34, 37 ms, and the generated parser 184, 225 and 79, 106.
//
// # The JSON form
//
// A report marshals to an object with a version, 3, which goes up when a reader of the old form would
// misread the new one. Its members:
//
//	version, note, dry_run           the form; note says that a dry run changed nothing
//	verb, cluster_id, link, pattern  what the call was about
//	complete, unaccounted            see Report; unaccounted is left out if it is none
//	counts                           how many topics have each outcome
//	results, unexpected              topic, outcome, code, message, lags, truncations,
//	                                 messages_truncated, notes, sent, settled, and the place of a cause
//	unexpected_count, next           see Report
//	attempts                         see Attempt; times end in _ns for nanoseconds
//	causes                           the errors, each once; problems and unaccounted_for name
//	                                 those of the run by their place
//
// A number that is not known is null.
//
// Statements about the server are marked: (contract) is from its published specification, (observed)
// was seen of running servers, (assumed) is reasoned and not known.
//
// A [Client] is safe for concurrent use. A [Report] is plain data of the caller's.
package mirror
