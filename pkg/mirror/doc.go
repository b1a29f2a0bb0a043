// Package mirror reads and changes Cluster Linking mirror topics with the Kafka REST API v3. The main operation is a
// reversal: local mirror topics become writable, and their former sources become paused mirrors.
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
// The two types to know are [Client], which makes the calls, and [Report], which accounts for each topic. Accepted does
// not mean done. Package wait waits until the change is done. Package job keeps a job in a file. [Client.Validate] is
// the dry run of any verb. [Client.Mirrors], [Client.Mirror] and [Client.Link] read a cluster's state.
//
// # Outcomes
//
// The operations are not idempotent. An HTTP 200 carries successes and failures together. An error or a lost connection
// may hide a finished change. Therefore every topic selected by name ends in exactly one [Outcome]:
//
//   - [Accepted]: the server accepted the change.
//   - [Failed]: the server refused the topic.
//   - [Unknown]: the topic may have been changed. Look at the clusters, as package wait does, before you send the topic
//     again.
//   - [Untouched]: nothing was done. Fix the cause and send the topic again.
//
// # Guarantees
//
//   - Nil error: an error is nil only if every topic asked for was accepted, the answer was read to its end, and
//     nothing unexpected was in the answer. For a pattern, there was at least one row and all rows were accepted.
//   - Never nil report: there is always a report. The error is an [*IncompleteError], which carries the report.
//   - One outcome: a topic asked for by name has exactly one [Result]. A topic missing from the answer is Unknown. A
//     topic with contradicting rows is Unknown too.
//   - Untouched is proof, or said to be assumed: only the table below makes a topic Untouched. [Attempt].Assumed says
//     where the table relies on an assumption about the server.
//   - Retry only by the table: no redirect is followed, and the transport cannot send a body again. The guarantees do
//     not cover a gateway or transport that repeats requests. Switch its retries off for this route.
//   - Said before sending: a single error lists every bad argument, before anything is sent.
//   - No secrets: credentials go to the configured host only. Credentials from a request's headers are in no error, log
//     or report. Escaped or encoded copies are not looked for.
//   - Bounded: the context and [Config].Timeout end every wait and read. A Transport and a Credential must honour their
//     context. A request that has begun gets the rest of its Timeout to be answered, even after the context has ended
//     (a platform's grace of 30 s is shorter than the default). An answer may have 256 MiB. A single value may have 16
//     MiB.
//   - Reports survive: reports marshal to JSON and back. [Report.Merge] joins reports and forgets no Unknown.
//   - Nothing settles an outcome but evidence or a person: see [Report.Settle], and Progress.Report of package wait.
//
// # What a response proves
//
// The first matching row counts. RETRIED is for a verb's request. A dry run and a read are also retried after a 5xx, a
// 408, a 429 and a lost response, with three attempts in all.
//
//	RESPONSE                                                  TOPICS WITHOUT A ROW  RETRIED
//	nothing of the request's body was taken, and no 200 came  untouched             10 s, if the cause can pass
//	the request was written more than once, and was refused   unknown               no
//	200, application/json                                     unknown               no
//	429 with the header DoSFilter: unavailable                untouched             for RetryFor
//	429 without a DoSFilter header and without an error_code  unknown if it ends there, and so are refusals after it
//	                                                                                RetryFor (not TruncateAndRestore)
//	401                                                       untouched (assumed)   once, with another header
//	301, 302, 307, 308, 404, 405, 407, 415, 421               untouched (assumed)   no
//	400, 403: one JSON object without 40002 in it             untouched (assumed)   no
//	anything else, or no response                             unknown               no
//
// # Patterns
//
// [Topics] is the safe way: only with names can a report account for topics missing from the answer. [Prefix] and
// [Suffix] take literals. Their expressions mean the same whether the server searches or matches the whole name.
// [Pattern] sends an expression unchanged. The dialect is the server's, very likely Java's (assumed), and not Go's.
// Preview a pattern with a dry run and send the names from the dry run. [All] is the only way to select everything.
//
// # Open questions about the server
//
// The server is closed source. Not known are the dialect and anchoring of patterns, the largest number of names in a
// request, the order of rows, whether a lag is a reason to refuse, and how long the server works on a request after the
// response was lost.
//
// Statements about the server have a grade: (contract) is from the published specification, (observed) was seen on
// running servers, (assumed) is reasoned and not known.
package mirror
