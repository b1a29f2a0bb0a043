// Package mirror reads and changes Cluster Linking mirror topics with the Kafka REST API v3. Its main job is to reverse
// them: it makes local mirror topics writable and leaves their former sources as paused mirrors.
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
// The two types to know are [Client], which makes the calls, and [Report], which accounts for each topic. Accepted does not
// mean done: package wait waits until the change is done, and package job keeps a job in a file. [Client.Validate] is the dry
// run of any verb; [Client.Mirrors], [Client.Mirror] and [Client.Link] read what a cluster says.
//
// # Outcomes
//
// The operations are not idempotent, one HTTP 200 carries successes and failures together, and an error or a lost connection
// may hide work that was done. So every topic selected by name ends in exactly one [Outcome]:
//
//   - [Accepted]: the server accepted the change.
//   - [Failed]: the server refused it for this topic.
//   - [Unknown]: it may have been carried out. Look at the clusters before you send it again; package wait does.
//   - [Untouched]: nothing was done. Fix the cause and send it again.
//
// # Guarantees
//
//   - Nil error: an error is nil only if every topic asked for was accepted, the answer was read to its end, and nothing
//     unexpected was in it; for a pattern, at least one row, and all of them.
//   - Never nil report: there is always a report, and the error, an [*IncompleteError], carries it.
//   - One outcome: a topic asked for by name has one [Result]. A topic that the answer leaves out is Unknown, and so is a
//     topic about which rows contradict each other.
//   - Untouched is proof, or said to be assumed: the table below is all that makes a topic Untouched. [Attempt].Assumed says
//     where an assumption about the server does.
//   - Retry only by the table: no redirect is followed, and the transport cannot send a body again. The guarantees end at
//     the first gateway or transport that repeats requests by itself: switch its retries off for this route.
//   - Said before sending: every bad argument is in one error, before anything is sent.
//   - No secrets: credentials go to the configured host only. The credentials that a request had in its headers are in no
//     error, log or report; copies of them that were escaped or encoded are not looked for.
//   - Bounded: the context and [Config].Timeout end every wait and read. A Transport and a Credential must honour their
//     context. A request that has begun gets the rest of its Timeout to be answered, also after the context has ended (a
//     platform's grace of 30 s is shorter than the default). An answer may have 256 MiB, and one value in it 16 MiB.
//   - Reports survive: they marshal to JSON and back, and [Report.Merge] puts several together and forgets no Unknown.
//   - Nothing settles an outcome but evidence or a person: see [Report.Settle], and Progress.Report of package wait.
//
// # What a response proves
//
// The first row that fits a request counts. Retried is a verb's request; a dry run and a read are also retried after a 5xx, a
// 408, a 429 and a lost response, three attempts in all.
//
//	RESPONSE                                                  TOPICS WITHOUT A ROW  RETRIED
//	nothing of the request's body was taken, and no 200 came  untouched             10 s, if the cause can pass
//	the request was written more than once, and was refused   unknown               no
//	200, application/json                                     unknown               no
//	429 with the header DoSFilter: unavailable                untouched             for RetryFor
//	429 without a DoSFilter header and without an error_code  unknown if it ends there, and so are refusals after it
//	                                                                                for RetryFor (not TruncateAndRestore)
//	401                                                       untouched (assumed)   once, with another header
//	301, 302, 307, 308, 404, 405, 407, 415, 421               untouched (assumed)   no
//	400, 403: one JSON object without 40002 in it             untouched (assumed)   no
//	anything else, or no response                             unknown               no
//
// # Patterns
//
// [Topics] is the safe way: only then can a report account for a topic that the answer leaves out. [Prefix] and [Suffix] take
// literals, and send an expression that means the same whether the server searches with it or matches the whole name.
// [Pattern] sends an expression as it stands; its dialect is the server's, very likely Java's (assumed), and not Go's, so
// preview it with a dry run, and send the names that it showed. [All] is the only way to say everything.
//
// # What is not known of the server
//
// The server is closed source. Not known are: the dialect and anchoring of patterns, how many names one request may carry, the
// order of rows, whether a lag is a reason to refuse, and how long a request is worked on after its response was lost.
//
// Statements about the server are marked: (contract) is from its published specification, (observed) was seen of running
// servers, (assumed) is reasoned and not known.
package mirror
