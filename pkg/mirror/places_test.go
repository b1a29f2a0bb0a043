package mirror

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A topic is found, or not, without looking through the list, however long that is.
func TestPlaceOf_LooksAtAFewOnly(t *testing.T) {
	names := benchNames(1000)
	places := map[string]int{}
	for i, name := range names {
		places[name] = i
	}
	for _, topic := range []string{names[0], names[500], names[999], "another"} {
		looked := 0
		i, found := placeOf(topic, places, len(names), func(i int) string {
			looked++
			return names[i]
		})
		require.Equal(t, slices.Contains(names, topic), found)
		require.Equal(t, max(0, slices.Index(names, topic)), i)
		require.LessOrEqual(t, looked, 2)
	}
}

// A list that was changed by hand is looked through.
func TestPlaceOf_FindsWhatWasChangedByHand(t *testing.T) {
	places := map[string]int{"a": 0, "b": 1, "c": 2}
	for _, names := range [][]string{
		{"a", "b", "c"}, {"c", "b", "a"}, {"x", "b", "c"}, {"a", "b", "x"}, {"a", "b"}, {"x"}, {}, {"a", "b", "c", "x"},
		{"x", "y", "z"}, {"b", "c", "x"},
	} {
		for _, topic := range []string{"a", "b", "c", "x", "y"} {
			i, found := placeOf(topic, places, len(names), func(i int) string { return names[i] })
			require.Equal(t, slices.Contains(names, topic), found, "%s in %v", topic, names)
			require.Equal(t, max(0, slices.Index(names, topic)), i, "%s in %v", topic, names)
		}
	}
}

// Whatever way the library gives a report or the progress of one, it knows where the topics are.
func TestPlaces_AreKnown(t *testing.T) {
	unknown := func(topics ...string) *Report {
		return UnknownReport("lkc-1", "link", VerbPromote, time.Time{}, topics...)
	}
	merged := &Report{}
	require.NoError(t, merged.Merge(unknown("a", "b")))
	require.NoError(t, merged.Merge(unknown("c")))
	f := newFollow(&Client{}, merged, FollowOptions{})
	var back Report
	require.NoError(t, json.Unmarshal(mustMarshal(merged), &back))
	want := map[string]int{"a": 0, "b": 1, "c": 2}
	for name, places := range map[string]map[string]int{
		"without a report": unknown("a", "b", "c").places, "followed": f.report.places, "progress": f.progress().places,
		"settled": f.progress().Report().places, "read back": back.places,
	} {
		require.Equal(t, want, places, name)
	}
	require.Equal(t, 0, unknown("a", "a").places["a"], "the first of two")
}
