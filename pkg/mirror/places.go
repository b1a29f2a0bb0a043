package mirror

// placesOf says where each topic first stands in a list of results.
func placesOf(results []Result) map[string]int {
	places := make(map[string]int, len(results))
	for i := len(results) - 1; i >= 0; i-- {
		places[results[i].Topic] = i
	}
	return places
}

// placeOf returns the place of a topic in a list of n, whose i-th is about the topic that at returns; places say where
// each was put. It looks through the list only if they do not say, or the topic is not where it was put, or
// somebody has changed the list by hand, as far as its ends show.
func placeOf(topic string, places map[string]int, n int, at func(i int) string) (place int, found bool) {
	put := func(i int) bool {
		place, known := places[at(i)]
		return known && place == i
	}
	switch i, known := places[topic]; {
	case known && i < n && at(i) == topic:
		return i, true
	case !known && len(places) == n && (n == 0 || put(0) && put(n-1)):
		return 0, false
	}
	for i := range n {
		if at(i) == topic {
			return i, true
		}
	}
	return 0, false
}
