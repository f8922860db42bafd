package audit

import (
	"strings"
	"unicode"
)

// Sensitive reports whether a field's name says that its value is a secret:
// password, passphrase, token, api_key and the like. The values of such a field
// are withheld from the log unless the application decides otherwise; that it
// changed is recorded.
//
// Names are compared by whole words, without regard to case. Words end at
// everything that is neither a letter nor a digit, and where camelCase starts a
// new one. So "userPassword", "USER_PASSWORD" and "user-password2" are
// sensitive, and "monkey", "discard" and "tokenize" are not.
func Sensitive(field string) bool {
	previous := ""
	for _, word := range words(field) {
		if secretWord(word) || secretPair(previous, word) {
			return true
		}
		previous = word
	}
	return false
}

// secretWord reports whether a word alone tells of a secret. Names that people
// write without a separator stand here too.
func secretWord(word string) bool {
	switch word {
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
func secretPair(first, second string) bool {
	switch second {
	case "key", "keys":
		switch first {
		case "api", "private", "access", "auth", "encryption", "signing", "session", "master", "ssh", "license":
			return true
		}
	case "code", "codes":
		return first == "recovery" || first == "backup" || first == "auth"
	}
	return false
}

// words are the words of a name in lower case, without the digits at their end.
func words(name string) []string {
	var all []string
	runes := []rune(name)
	start := 0
	end := func(i int) {
		if word := strings.TrimRightFunc(string(runes[start:i]), unicode.IsDigit); word != "" {
			all = append(all, strings.ToLower(word))
		}
		start = i
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end(i)
			start = i + 1
		case i > start && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			// A capital starts a word after a small letter, and as the last one
			// of a row of capitals: APIKey is API and Key.
			end(i)
		}
	}
	end(len(runes))
	return all
}
