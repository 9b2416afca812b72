"""All settings, read from the environment only. Defaults are the embedded mode."""

import secrets
import shlex
import sys
from pathlib import Path
from typing import Any

import environ

from deploy import env
from deploy.embedded import database_url, var_folder

BASE_DIR = Path(__file__).resolve().parent.parent
CONCORD_VAR = var_folder()
DEBUG = env.boolean("DEBUG")
PRODUCTION = env.boolean("CONCORD_PRODUCTION")


def _secret_key() -> str:
    """SECRET_KEY, or one generated once for this installation and kept in a 0600 file."""
    if key := env.text("SECRET_KEY"):
        return key
    path = CONCORD_VAR / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "annotation.ui",
    "annotation.audit",
    "annotation.accounts",
    "annotation.projects",
    "annotation.prompts",
    "annotation.registry",
    "annotation.generation",
    "annotation.comparisons",
    "annotation.demonstrations",
    "annotation.judges",
    "annotation.quality",
    "annotation.datasets",
    "annotation.runs",
    "annotation.evaluations",
    "annotation.rounds",
    "annotation.webhooks",
    "annotation.overview",
    "allauth",  # after ours: our templates of the account pages come first
    "allauth.account",
    "deploy",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "annotation.core.middleware.LanguageMiddleware",
    "annotation.core.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "annotation.accounts.middleware.ZoneMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "annotation.core.middleware.PageMessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "annotation.core.middleware.PolicyMiddleware",
    "annotation.core.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "deploy.urls"
WSGI_APPLICATION = "deploy.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

CONCORD_DATABASE_URL = env.text("DATABASE_URL") or database_url(CONCORD_VAR / "postgres")
_database = environ.Env.db_url_config(CONCORD_DATABASE_URL)
_prepare = env.boolean("CONCORD_PREPARED_STATEMENTS", default=True)  # no: behind pooled connections
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": env.integer("CONCORD_CONNECTION_SECONDS", 600),  # 0: one a request
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            # Of annotation/core/statements.py: planned at the first use, not for each set of values, and for pages
            # that lie in memory, so that a small table is not read whole for one row.
            "prepare_threshold": 0 if _prepare else None,
            "options": "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.text("REDIS_URL")

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["annotation.accounts.backends.PreparedBackend"]
SESSION_ENGINE = "annotation.accounts.sessions"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_FORMS = {"login": "annotation.accounts.forms.SignInForm"}
ACCOUNT_ADAPTER = "annotation.projects.adapter.InvitedAccountAdapter"
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key", "signup": "20/h/ip"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
vars().update(env.mail("EMAIL_URL"))  # without one this server sends no mail
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "concord@localhost")
EMAIL_TIMEOUT = 10
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotation.accounts.authentication.TokenAuthentication",
        "annotation.accounts.authentication.PageSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": [
        "annotation.core.api.BoundedJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "annotation.core.api.Negotiation",
    "DEFAULT_PAGINATION_CLASS": "annotation.core.api.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "annotation.core.api.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Concord API",
    "DESCRIPTION": "Every step of the loop: prompts, candidates, comparisons, judgments, snapshots, runs, models.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "annotation.core.schema.with_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "DemonstrationKindEnum": "annotation.demonstrations.models.Demonstration.Kind",
        "DemonstrationStateEnum": "annotation.demonstrations.models.Demonstration.State",
        "DemonstrationSkipReasonEnum": "annotation.demonstrations.models.Demonstration.SkipReason",
        "OpeningStateEnum": "annotation.demonstrations.models.Opening.State",
        "RuleKindEnum": "annotation.quality.models.Rule.Kind",
        "LabelerActKindEnum": "annotation.quality.models.LabelerAct.Kind",
        "DisputeStateEnum": "annotation.quality.models.Dispute.State",
        "RoleEnum": "annotation.projects.models.Role",
        "TurnRoleEnum": ["system", "user", "assistant"],
        "RoundStageEnum": "annotation.rounds.models.Round.Stage",
        "RoundStateEnum": "annotation.rounds.models.Round.State",
        "WebhookEventEnum": "annotation.webhooks.models.Event",
        "StageEnum": "annotation.registry.models.ModelVersion.Stage",
        "ModelKindEnum": "annotation.registry.models.ModelVersion.Kind",
    },
}

if REDIS_URL:
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    }
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "concord_cache",
        }
    }
    CELERY_BROKER_URL = "filesystem://localhost"
    _broker = CONCORD_VAR / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
        "processed_folder": str(_broker / "processed"),
        "store_processed": False,
        "polling_interval": 0.05,
    }

CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CONCORD_SWEEP_SECONDS = env.integer("CONCORD_SWEEP_SECONDS", 30)
CONCORD_CHECKPOINT_DAYS = env.integer("CONCORD_CHECKPOINT_DAYS", 30)  # 0: without end
CONCORD_WEBHOOK_SECONDS = 15  # between two looks at what happened
CONCORD_WEBHOOK_TEST_NETWORKS: tuple[str, ...] = ()  # tests alone let webhooks reach this machine
CONCORD_HTTP_CONCURRENCY = env.integer("CONCORD_HTTP_CONCURRENCY", 8)
CONCORD_HTTP_PER_MINUTE = env.integer("CONCORD_HTTP_PER_MINUTE", 0)  # 0: without limit
CONCORD_SCORING_WAITERS = env.integer("CONCORD_SCORING_WAITERS", 2)  # threads of a web process
CONCORD_HTTP_TIMEOUT_SECONDS = env.integer("CONCORD_HTTP_TIMEOUT_SECONDS", 120)
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "workers.housekeeping.sweep",
        "schedule": CONCORD_SWEEP_SECONDS,
        "options": {"queue": "cpu", "expires": CONCORD_SWEEP_SECONDS},
    },
    "checkpoints": {
        "task": "workers.housekeeping.remove_old_checkpoints",
        "schedule": 3600,
        "options": {"queue": "cpu", "expires": 3600},
    },
    "sessions": {
        "task": "workers.housekeeping.remove_ended_sessions",
        "schedule": 3600,
        "options": {"queue": "cpu", "expires": 3600},
    },
    "webhooks": {
        "task": "workers.webhooks.collect",
        "schedule": CONCORD_WEBHOOK_SECONDS,
        "options": {"queue": "cpu", "expires": CONCORD_WEBHOOK_SECONDS},
    },
}

LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
]  # what the catalogs of annotation/ui/locale cover
LOCALE_PATHS = [BASE_DIR / "annotation" / "ui" / "locale"]  # of every app
FORMAT_MODULE_PATH = ["annotation.ui.formats"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = CONCORD_VAR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "annotation.ui.bundles.BundleFinder",
]
CONCORD_BUNDLES = {
    "comparisons/label.bundle.js": ["comparisons/label.js"],
    "comparisons/preview.bundle.js": ["comparisons/preview.js"],
    "comparisons/label.bundle.css": [
        "ui/tokens.css",
        "ui/components.css",
        "ui/untrusted.css",
        "comparisons/label.css",
        "comparisons/bar.css",
    ],
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000)

DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024
CONCORD_BUCKET_URL = env.text("CONCORD_BUCKET_URL")  # "": artifacts lie in CONCORD_VAR alone
CONCORD_BUCKET_ACCESS_KEY = env.text("CONCORD_BUCKET_ACCESS_KEY")
CONCORD_BUCKET_SECRET_KEY = env.text("CONCORD_BUCKET_SECRET_KEY")
CONCORD_BUCKET_REGION = env.text("CONCORD_BUCKET_REGION", "us-east-1")
CONCORD_MAX_UPLOAD_BYTES = env.integer("CONCORD_MAX_UPLOAD_BYTES", 2 * 1024**3)
CONCORD_TRAINING_COMMAND = env.text(
    "CONCORD_TRAINING_COMMAND", f"{shlex.quote(sys.executable)} -m training"
)
CONCORD_LEASE_SECONDS = env.integer("CONCORD_LEASE_SECONDS", 60)
CONCORD_PRICE_AN_HOUR = env.price("CONCORD_PRICE_AN_HOUR")  # of the training machine

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "deploy.logging.EventFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {"celery": {"level": "WARNING"}},  # it tells of every task; jobs log what they did
}
