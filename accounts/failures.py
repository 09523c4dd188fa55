"""What can go wrong between the agent, the PDS and us, and how it is said to a person."""

from accounts.enrolment import PublicationError
from accounts.pds import PdsError, SignInAgain
from accounts.records import RecordError
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentError, AgentSealed, AgentUnavailable

#: Everything that publishing and revoking may raise; each has a ``code``.
PUBLISHING = (AgentError, SignInAgain, PdsError, RepositoryError, PublicationError, RecordError)


def sentence(error: Exception) -> str:
    """A sentence that says what did not work and what helps."""
    if isinstance(error, AgentSealed):
        return "The key agent is locked: its operator has to give it its key. Try again after that."
    if isinstance(error, AgentUnavailable):
        return "The key agent does not answer just now. Nothing is lost; try again in a moment."
    if isinstance(error, AgentError):
        return "The key agent refuses this. Its operator can see why in its log."
    if isinstance(error, RecordError):
        return (
            "What was to be published is not valid, so it was not published. The operator has to look at it."
        )
    return str(error)
