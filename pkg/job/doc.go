// Package job runs one job with mirror topics. The job is in one file, which survives the death of the process.
//
//	plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics(names...))
//	j, err := job.Create("friday.job", plan, job.Options{}) // after a kill: job.Open("friday.job")
//	defer j.Close()
//	report, err := j.Run(ctx, local) // sends the remaining topics; each batch is on disk before sending
//	progress, err := j.Wait(ctx, wait.Options{This: local, Other: remote})
//	if err == nil {
//		fmt.Println("all done") // and the job is finished
//	}
//
// A job has a verb, a link, a cluster and topics. The plan is the report of a dry run. The topics are those that the
// dry run accepted.
//
// # Every batch is written down before sending
//
// The library sends a request only after the line about its batch was written and synced. If a line cannot be
// written, as on a full disk, the run ends before the next batch, and the file stays readable. The process may be
// killed at any moment, and the power may be lost. A batch without an answer on disk is Unknown, and is not sent
// again. Wait settles the topics of the batch.
//
// # The file
//
// Each line is a checksum (CRC-32C, eight hexadecimal digits), a blank, and JSON. The first line has the plan. Each
// further line has a batch before sending, the report of a batch, topics that were settled or found stopped, or the
// end of the job. The file has no credentials. The file has the names of topics, and texts from servers.
//
// # The lock
//
// The file is locked against other writers, in this process and in others, and never against readers. There is no
// lock file. Before each line the library checks that the file at the path is the open file and has the expected
// size. A file that was removed, renamed, or rotated ends the run.
//
// The lock does not cover a copy of the file. On a network file system that does not pass on locks, the lock does not
// cover other hosts either. Run looks before sending, so a later run of a copy finds that its topics have stopped or
// have changed. Two hosts that run copies at the same moment send twice.
package job
