// Package job does one job with mirror topics, and keeps it in one file that survives the death of the process.
//
//	plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics(names...))
//	j, err := job.Create("friday.job", plan, job.Options{}) // after a kill: job.Open("friday.job")
//	defer j.Close()
//	report, err := j.Run(ctx, local) // sends what remains; each batch is on disk before it is sent
//	progress, err := j.Wait(ctx, wait.Options{This: local, Other: remote})
//	if err == nil {
//		fmt.Println("all done") // and the job is finished
//	}
//
// A job is a verb, a link, a cluster and its topics: those that the plan, the report of a dry run, says would be
// accepted.
//
// # Nothing is sent that is not written down
//
// A request is sent only after the line about its batch was written and synced. If a line cannot be written, as on a
// full disk, the run ends before the next batch, and the file stays readable. A process may be killed at any moment, and
// the power may be lost: a batch without an answer on disk is Unknown, and is not sent again. Wait settles it.
//
// # The file
//
// Each line is a checksum (CRC-32C, eight hexadecimal digits), a blank, and JSON. The first line has the plan. The others
// have a batch before it is sent, the report of a batch, topics that were found to be stopped or were settled, and
// the end of the job. The file has no credentials. It has the names of topics, and the texts of servers.
//
// # The lock
//
// The file is locked against other writers, in this process and in others, and never against readers. There is no lock
// file. Before each line the file at the path must still be the open one, and have the size it was left with: a file that
// was removed, renamed, or rotated ends the run.
//
// The lock does not reach a copy of the file, nor another host if the file is on a network file system that does not pass
// locks on. Run looks before it sends, so a copy that is run later finds that its topics have stopped or have changed.
// Two hosts that run copies at the same moment send twice.
package job
