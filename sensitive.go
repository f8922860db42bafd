package audit

import (
	"unicode"
	"unicode/utf8"
)

// Sensitive reports whether a field's name says that its value is a secret:
// password, passphrase, token, api_key and the like. The values of such a field
// are withheld from the log unless the application decides otherwise; that it
// changed is recorded. The same goes for the members of objects within JSON.
//
// Names are compared by whole words, without regard to case. Words end at
// everything that is neither a letter nor a digit, and where camelCase starts a
// new one. So "userPassword", "USER_PASSWORD" and "user-password2" are
// sensitive, and "monkey", "discard" and "tokenize" are not.
func Sensitive(field string) bool {
	// Every name within a JSON value is looked at, so nothing is allocated.
	var last, word secretName
	end := func() bool {
		found := secretWord(word.text()) || secretPair(last.text(), word.text())
		if word.length > 0 {
			last = word
		}
		word = secretName{}
		return found
	}
	var previous rune // of the same word
	for i, r := range field {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			if end() {
				return true
			}
			previous = 0
			continue
		case previous != 0 && unicode.IsUpper(r) && (!unicode.IsUpper(previous) || startsSmall(field[i+utf8.RuneLen(r):])):
			// A capital starts a word after a small letter, and as the last one
			// of a row of capitals: APIKey is API and Key.
			if end() {
				return true
			}
		}
		word.add(r)
		previous = r
	}
	return end()
}

func startsSmall(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}

// secretName is a word of a name in lower case, without the digits at its end,
// as far as it can be one that tells of a secret.
type secretName struct {
	bytes  [16]byte
	length int // without the digits at the end
	size   int // with them; over the size of bytes if it is longer than that
}

func (w *secretName) add(r rune) {
	if w.size > len(w.bytes) {
		return
	}
	var letter [utf8.UTFMax]byte
	n := utf8.EncodeRune(letter[:], unicode.ToLower(r))
	copy(w.bytes[min(w.size, len(w.bytes)):], letter[:n])
	if w.size += n; !unicode.IsDigit(r) {
		w.length = w.size
	}
}

// text is the word; empty if it is too long to be one of interest.
func (w *secretName) text() []byte {
	if w.length > len(w.bytes) {
		return nil
	}
	return w.bytes[:w.length]
}

// secretWord reports whether a word alone tells of a secret. Names that people
// write without a separator stand here too.
func secretWord(word []byte) bool {
	switch string(word) {
	case "password", "passwords", "passwd", "pwd", "passphrase", "passphrases", "passcode", "passcodes",
		"passwordhash", "pin", "pincode", "otp", "totp", "cvv", "cvc",
		"secret", "secrets", "credential", "credentials", "cookie", "cookies", "jwt",
		"token", "tokens", "accesstoken", "authtoken", "refreshtoken",
		"apikey", "apikeys", "privatekey", "secretkey", "accesskey", "clientsecret":
		return true
	}
	return false
}

// secretPair reports whether two words in a row tell of a secret that neither
// tells of alone.
func secretPair(first, second []byte) bool {
	switch string(second) {
	case "key", "keys":
		switch string(first) {
		case "api", "private", "access", "auth", "encryption", "signing", "session", "master", "ssh", "license":
			return true
		}
	case "code", "codes":
		return string(first) == "recovery" || string(first) == "backup" || string(first) == "auth"
	}
	return false
}
