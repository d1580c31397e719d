import type { ButtonHTMLAttributes } from 'react';
import { Icon, type IconName } from './Icon.js';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon?: IconName;
  tone?: 'plain' | 'primary' | 'danger';
}

export function Button({ icon, tone = 'plain', children, className = '', ...rest }: ButtonProps) {
  return (
    <button type="button" className={`button ${className}`} data-tone={tone} {...rest}>
      {icon ? <Icon name={icon} /> : null}
      {children}
    </button>
  );
}

/** A button that is only a sign; `label` says what it does. */
export function IconButton({ icon, label, className = '', ...rest }: Omit<ButtonProps, 'children' | 'tone'> & { icon: IconName; label: string }) {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}
