package main

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// severities corrects oasdiff's levels for this library. The file has the form of --severity-levels, which allows no
// comments. If the server accepts a wider type than before, the change is harmless on the wire but changes a Go type
// in the generated code. The library reads text of any length.
//
//go:embed severities.txt
var severities []byte

//go:embed known-differences.txt
var knownDifferences string

// knownDifference is a reviewed difference from the vendor's whole specification.
type knownDifference struct {
	id     string // of the change
	text   string // a part of the change's text
	reason string // why the difference does not matter
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

// reads are the response members that the library reads, keyed by the beginning of the last part of the operation's
// path. The names of verbs begin with "mirrors:". Of any other operation the library may read every member.
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

// readAlone are the operations whose members are read separately. Of other operations a whole row is decoded, and
// decoding fails if a member has another type.
var readAlone = map[string]bool{"configs": true, "{consumer_group_id}": true}

// ofErrors are the members that the library reads of every error. It also reads the cloud's errors, but does not need
// their members.
var ofErrors = []string{"error_code", "message"}

// neededValues are the values that the library compares with.
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

// isRead returns whether the library reads a response member or a part of the member.
func isRead(path, member string) bool {
	members, isKnown := reads[operationOf(path)]
	for _, read := range append(ofErrors, members...) {
		if read == member || strings.HasPrefix(read, member+"/") {
			return true
		}
	}
	return !isKnown
}

// quoted matches a name in a text of oasdiff.
var quoted = regexp.MustCompile("`([^`]*)`")

// isUnread returns whether a change is about a response member that the library does not read.
func isUnread(c change) bool {
	isRead := func(name []string) bool { return isRead(c.Path, name[1]) }
	return ofMember.MatchString(c.ID) && !slices.ContainsFunc(quoted.FindAllStringSubmatch(c.Text, -1), isRead) &&
		(readAlone[operationOf(c.Path)] || !ofType.MatchString(c.ID))
}

var (
	// ofMember matches changes of a response member.
	ofMember = regexp.MustCompile(`^response-(required-|optional-|write-only-)*property-`)
	// ofType matches changes that make a whole row unreadable.
	ofType = regexp.MustCompile(`type|-(all|any|one)-of`)
	// measured matches changes of the rules for requests. Specdiff checks the library's requests against the other
	// document, which is more exact than the change.
	measured = regexp.MustCompile(`^request-(body|parameter|property)-.*(set|increased|decreased|became-enum|` +
		`became-required|pattern-added|pattern-changed|enum-value-removed)$`)
	// ofCredentials matches changes that guard.security decides better.
	ofCredentials = regexp.MustCompile(`^api-(global-)?security-`)
)

// verdictOf returns the meaning of a change for the library, and the reason unless the level decides. Known
// differences come first.
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
