// Package examples holds small programs to copy, each in a folder of its own and with a test:
//
//   - firstcall: a dry run and its table
//   - failover: a planned failover with a job file; the program may be killed and run again
//   - unplanned: a failover after the source is lost, and later the way back with a limit
//   - metrics: lag and statuses of a link's mirror topics for Prometheus
//   - mtls: a client's certificate instead of a key
//   - contracttest: a test of traffic with a cluster against the contract
//   - integrations, a module of its own: OAuth 2.0 with a cached token and tracing
package examples
