"""Operations on rows: softmax, normalisation, cross entropy."""
