// Package zxcvbn stands in for the password estimator that pulumi uses for one hint only: whether a
// value given to `config set` looks like a secret. The real one builds two dictionaries at every
// start of the program, which doubles the start; nobody here calls `config set`.
package zxcvbn

// Match is the part of an estimate that pulumi reads.
type Match struct {
	Entropy float64
}

// PasswordStrength estimates nothing: no value looks like a secret.
func PasswordStrength(_ string, _ []string, _ ...any) Match {
	return Match{}
}
