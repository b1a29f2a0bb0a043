package wait

import "testing"

// The polls of all waits come at the same times in every run of the tests.
func TestMain(m *testing.M) {
	jitter = func() float64 { return 0 }
	m.Run()
}
