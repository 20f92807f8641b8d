/**
 * A random number evenly between two, as Python's random.uniform.
 *
 * @param low the lower bound
 * @param high the upper bound
 */
export const uniform = (low, high) => low + (high - low) * Math.random();
