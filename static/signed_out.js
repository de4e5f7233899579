// Goes on to the application when every frame has loaded (Front-Channel Logout §3), which the window's own load event waits for,
// or when patience ends: an application that hangs holds nobody. Without script the page's refresh and its link do it.
{
  let gone = false;
  const go = () => {
    const onward = document.getElementById("continue");
    if (!gone && onward) {
      gone = true;
      location.replace(onward.href);
    }
  };
  addEventListener("load", go);
  document.addEventListener("DOMContentLoaded", () => {
    setTimeout(go, 1000 * document.getElementById("continue").dataset.patience);
  });
}
