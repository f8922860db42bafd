package audit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSensitiveMatchesWholeWordsOnly(t *testing.T) {
	t.Parallel()
	secret := strings.Fields(`password Password PASSWORD user_password userPassword UserPassword user-password user.password
		PasswordHash password_hash passwordhash password2 newPassword1 passwd pwd db_pwd passphrase
		secret secrets client_secret ClientSecret clientsecret secretKey
		token tokens access_token AccessToken accesstoken refreshToken OAuth2Token CSRFToken
		api_key apikey apiKey APIKey ApiKey API_KEY api-key api.key X-Api-Key stripe_api_keys
		private_key privateKey access_key signing_key recovery_codes
		credential credentials awsCredentials kiosk_pin PIN otp totp jwt cookie settings.smtp.password`)
	for _, name := range append(secret, "api key", "User Password") {
		require.True(t, Sensitive(name), "%q names a secret", name)
	}
	open := strings.Fields(`monkey discard tokenize tokenizer secretary passport compass bypass key keys api apis
		apiKeyboard keyboard_api foreign_key primary_key project_key pinned spinner opinion code zip_code
		recovery backup name description hourly_rate passenger accesskeyboard credentialed cookiecutter`)
	for _, name := range append(open, "", "_", "…", "ключ") {
		require.False(t, Sensitive(name), "%q does not name a secret", name)
	}
}

func FuzzSensitiveNeverPanicsAndIgnoresSeparators(f *testing.F) {
	f.Add("api_key")
	f.Add("APIKey")
	f.Add("\xff\x00É")
	f.Fuzz(func(t *testing.T, name string) {
		require.Equal(t, Sensitive(name), Sensitive("_"+name+"_"))
		require.True(t, Sensitive(name+"_password"))
	})
}
