package wait

// WithoutJitter makes the polls of all waits come at the same times in every run, until the function is called that it
// returns.
func WithoutJitter() (restore func()) {
	was := jitter
	jitter = func() float64 { return 0 }
	return func() { jitter = was }
}
