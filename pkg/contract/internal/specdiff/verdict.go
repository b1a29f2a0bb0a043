package main

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// severities says which changes break the library where oasdiff would say otherwise, in the form of
// its --severity-levels file, which has no room for comments. A type that the server takes more widely
// than before is harmless on the wire, and another Go type in the generated code. The library reads
// text of any length.
//
//go:embed severities.txt
var severities []byte

//go:embed known-differences.txt
var knownDifferences string

// knownDifference is a difference from the vendor's whole specification that was looked at.
type knownDifference struct {
	id     string // of the change
	text   string // a part of what is said of it
	reason string // why it does not matter
}

// known returns the reviewed list.
func known() []knownDifference {
	var all []knownDifference
	for line := range strings.Lines(knownDifferences) {
		if parts := strings.SplitN(line, " | ", 3); len(parts) == 3 && !strings.HasPrefix(line, "#") {
			all = append(all, knownDifference{parts[0], parts[1], strings.TrimSpace(parts[2])})
		}
	}
	return all
}

// reads are the members of the answers that the library reads, by how the last part of the operation's
// path begins. The names of verbs begin with "mirrors:". Of an operation that is not here it may read
// everything.
var reads = map[string][]string{
	"mirrors:": {
		"data/items/mirror_topic_name", "data/items/error_code", "data/items/error_message",
		"data/items/mirror_lags/items/partition", "data/items/mirror_lags/items/lag",
		"data/items/mirror_lags/items/last_source_fetch_offset", "data/items/messages_truncated",
		"data/items/partition_level_truncation_data/items/partition_id",
		"data/items/partition_level_truncation_data/items/offset_truncated_to",
		"data/items/partition_level_truncation_data/items/messages_truncated",
		"metadata/next",
	},
	"mirrors": {
		"data/items/link_name", "data/items/mirror_topic_name", "data/items/source_topic_name",
		"data/items/num_partitions", "data/items/mirror_lags/items/partition", "data/items/mirror_lags/items/lag",
		"data/items/mirror_lags/items/last_source_fetch_offset", "data/items/mirror_status",
		"data/items/mirror_topic_error", "data/items/state_time_ms", "metadata/next",
	},
	"{mirror_topic_name}": {
		"link_name", "mirror_topic_name", "source_topic_name", "num_partitions", "mirror_lags/items/partition",
		"mirror_lags/items/lag", "mirror_lags/items/last_source_fetch_offset", "mirror_status", "mirror_topic_error",
		"state_time_ms", "mirror_state_transition_errors/items/error_code",
		"mirror_state_transition_errors/items/error_message",
	},
	"{link_name}": {
		"source_cluster_id", "destination_cluster_id", "remote_cluster_id", "link_name", "cluster_link_id", "link_error",
		"link_error_message", "link_state", "tasks/items/task_name", "tasks/items/state",
		"tasks/items/errors/items/error_code", "tasks/items/errors/items/error_message",
	},
	"configs":             {"data/items/name", "data/items/value", "data/items/link_name", "metadata/next"},
	"{consumer_group_id}": {"consumer_group_id", "state"},
}

// readAlone are the operations of which members are read one by one. Of the others a row is read as a
// whole, which fails if a member has another type.
var readAlone = map[string]bool{"configs": true, "{consumer_group_id}": true}

// ofErrors are the members that the library reads of every error. It reads the cloud's too, and does
// without them.
var ofErrors = []string{"error_code", "message"}

// neededValues are the values that the library waits for or compares with.
var neededValues = map[string][]string{
	"mirror_status": {string(mirror.StatusActive), string(mirror.StatusPaused), string(mirror.StatusStopped)},
	"link_state":    {"ACTIVE"},
	"link_error":    {"NO_ERROR"}, "mirror_topic_error": {"NO_ERROR"},
}

// operationOf returns the key of an operation in reads.
func operationOf(path string) string {
	last := path[strings.LastIndex(path, "/")+1:]
	if verb, _, isVerb := strings.Cut(last, ":"); isVerb {
		return verb + ":"
	}
	return last
}

// isRead tells whether the library reads a member of an answer, or something in it.
func isRead(path, member string) bool {
	members, isKnown := reads[operationOf(path)]
	for _, read := range append(ofErrors, members...) {
		if read == member || strings.HasPrefix(read, member+"/") {
			return true
		}
	}
	return !isKnown
}

// quoted is a name in a text of oasdiff.
var quoted = regexp.MustCompile("`([^`]*)`")

// isUnread tells whether a change is about a member of an answer that the library does not read.
func isUnread(c change) bool {
	isRead := func(name []string) bool { return isRead(c.Path, name[1]) }
	return ofMember.MatchString(c.ID) && !slices.ContainsFunc(quoted.FindAllStringSubmatch(c.Text, -1), isRead) &&
		(readAlone[operationOf(c.Path)] || !ofType.MatchString(c.ID))
}

var (
	// ofMember are changes of a member of an answer.
	ofMember = regexp.MustCompile(`^response-(required-|optional-|write-only-)*property-`)
	// ofType are changes after which a row cannot be read as a whole.
	ofType = regexp.MustCompile(`type|-(all|any|one)-of`)
	// measured are changes of what a request must be like: the requests that the library sends are held
	// to the other document, which says more than the change does.
	measured = regexp.MustCompile(`^request-(body|parameter|property)-.*(set|increased|decreased|became-enum|` +
		`became-required|pattern-added|pattern-changed|enum-value-removed)$`)
	// ofCredentials are changes of which guard.security knows more.
	ofCredentials = regexp.MustCompile(`^api-(global-)?security-`)
)

// verdictOf says what a change means for the library, and why if that is not the change's level. A known
// difference is looked up first.
func verdictOf(c change) (verdict, reason string) {
	for _, d := range known() {
		if d.id == c.ID && strings.Contains(c.Text, d.text) {
			return "known", ": " + d.reason
		}
	}
	switch {
	case c.Level <= harmless:
		return "harmless", ""
	case measured.MatchString(c.ID):
		return "harmless", ": the requests of the library were tried"
	case ofCredentials.MatchString(c.ID):
		return "harmless", ": the library's credentials were tried"
	case isUnread(c):
		return "harmless", ": the library does not read it"
	}
	return "BREAKING", ""
}
