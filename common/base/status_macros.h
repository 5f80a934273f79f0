#pragma once

#include <utility>

#include "bedrock/result.h"
#include "bedrock/status.h"

// The two flow macros of this project. They stay out of the installed headers.

#define BEDROCK_CONCAT_INNER(a, b) a##b
#define BEDROCK_CONCAT(a, b) BEDROCK_CONCAT_INNER(a, b)

/// Evaluates an expression that gives a Status; returns it from this function unless it is ok.
#define RETURN_IF_ERROR(expression)                    \
  do {                                                 \
    ::bedrock::Status bedrock_status_ = (expression);  \
    if (!bedrock_status_.ok()) return bedrock_status_; \
  } while (false)

/// ASSIGN_OR_RETURN(auto x, F()): x is F()'s value, or this function returns F()'s status.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(BEDROCK_CONCAT(bedrock_result_, __LINE__), declaration, expression)
// `declaration` declares a variable, which parentheses would spoil.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
